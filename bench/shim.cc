// SPDX-License-Identifier: Apache-2.0
//
// Registers the tables of shim.h with Google Benchmark. "per_item" is the time of one operation.
#include "shim.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static const char *skipped;

extern "C" void *micro_alloc(uint64_t bytes)
{
	void *memory = nullptr;

	if (posix_memalign(&memory, 128, bytes) != 0) {
		std::fprintf(stderr, "micro: out of memory\n");
		std::exit(1);
	}
	return std::memset(memory, 0, bytes);
}

extern "C" void *micro_skip(const char *reason)
{
	skipped = reason;
	return nullptr;
}

static void run_case(benchmark::State &state, const micro_case *c)
{
	skipped = nullptr;
	void *own = c->open(c->arg);

	if (skipped != nullptr) {
		state.SkipWithError(skipped);
		return;
	}
	c->run(own);
	for (auto _ : state)
		c->run(own);
	c->close(own);
	const auto rounds = static_cast<double>(state.iterations());
	state.counters["per_item"] = benchmark::Counter(rounds * static_cast<double>(c->items),
		benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
	if (c->bytes != 0)
		state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * c->bytes));
}

static void add_table(const micro_case *c)
{
	for (; c->name != nullptr; c++)
		benchmark::RegisterBenchmark(c->name, run_case, c);
}

int main(int argc, char **argv)
{
	// Short by default; what the caller says comes later and wins.
	static char brief[] = "--benchmark_min_time=0.05";
	std::vector<char *> args = {argv[0], brief};

	args.insert(args.end(), argv + 1, argv + argc);
	argc = static_cast<int>(args.size());
	benchmark::Initialize(&argc, args.data());
	if (benchmark::ReportUnrecognizedArguments(argc, args.data()))
		return 2;
#define ADD_TABLE(name) add_table(micro_##name);
	MICRO_TABLES(ADD_TABLE)
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
