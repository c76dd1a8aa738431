-- SPDX-License-Identifier: Apache-2.0
--
-- For wrk: sends the body that RC_WRK_BODY names, and writes what came of it, as JSON, into the file RC_WRK_OUT. Without a function
-- for requests or answers: wrk sends the same bytes again and again and calls no Lua meanwhile.
local body = assert(io.open(os.getenv("RC_WRK_BODY"), "rb"))

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = body:read("*a")
body:close()

function done(summary, latency)
	local out = assert(io.open(os.getenv("RC_WRK_OUT"), "w"))
	local errors = summary.errors

	out:write(string.format(
		'{"seconds":%.6f,"requests":%d,"p50":%d,"p99":%d,"p999":%d,' ..
		'"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
		summary.duration / 1e6, summary.requests, latency:percentile(50) * 1000, latency:percentile(99) * 1000,
		latency:percentile(99.9) * 1000, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
	out:close()
end
