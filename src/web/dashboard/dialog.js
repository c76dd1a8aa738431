// SPDX-License-Identifier: Apache-2.0
// Disconnecting asks first, in the page; sending to a user says what became of it.
import { words } from "./api.js";
import { bidi, button, el, field, say } from "./dom.js";
import { plural } from "./format.js";
import { jsonFault } from "./jsonplace.js";

const REASON_BYTES = 123;

// what: "user" or "session". done(text) is called with what to tell when they are gone.
export function disconnectDialog(app, what, id, done) {
	const code = el("input", { type: "number", min: "4000", max: "4999", value: "4004", required: true });
	const reason = el("input", { type: "text", autocomplete: "off", dir: "auto" });
	const error = el("p", { class: "answer bad", role: "alert" });
	const go = el("button", { type: "submit", class: "danger" }, "Disconnect");
	const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
		el("form", { onsubmit: submit }, el("h2", { id: "dialog-title" }, "Disconnect " + what + "?"),
			el("p", {}, bidi(id)),
			el("p", {}, what === "user" ? "All connections of this user are closed." : "This connection is closed.",
				" With a code from 4000 to 4099 good clients do not come back by themselves, from 4100 on they do."),
			field("Close code", code), field("Reason", reason, "At most 123 bytes; the client is told it."), error,
			el("p", { class: "buttons" }, button("Cancel", () => dialog.close()), go)));

	async function submit(e) {
		e.preventDefault();
		if (new TextEncoder().encode(reason.value).length > REASON_BYTES) {
			say(error, "The reason is longer than " + REASON_BYTES + " bytes.");
			reason.focus();
			return;
		}
		go.disabled = true;
		try {
			const query = new URLSearchParams({ code: code.value });
			if (reason.value) query.set("reason", reason.value);
			const data = await app.api.ask("api/" + what + "s/" + encodeURIComponent(id) + "?" + query, { method: "DELETE" });
			dialog.close();
			done(plural(data?.closed ?? 0, "connection was", "connections were") + " closed.");
		} catch (refused) {
			say(error, words(refused));
			go.disabled = false;
		}
	}

	document.body.append(dialog);
	dialog.showModal();
	code.focus();
}

// Whether the text is JSON. Where it is not, it is told and shown at which place.
export function holdsJson(data, answer) {
	const fault = jsonFault(data.value);
	data.setAttribute("aria-invalid", String(Boolean(fault)));
	if (!fault) return true;
	answer.className = "answer bad";
	say(answer, "Not JSON: line " + fault.line + ", column " + fault.column + ": " + fault.message + ".");
	data.focus();
	data.setSelectionRange(fault.at, fault.at + 1);
	return false;
}

// A form that sends a message to a user or to one session.
export function sendCard(app, what, id) {
	const event = el("input", { type: "text", value: "note", maxlength: "128", autocomplete: "off", spellcheck: "false", dir: "auto" });
	const data = el("textarea", { rows: "3", spellcheck: "false" }, "{ \"text\": \"Hello\" }");
	const go = el("button", { type: "submit" }, "Send");
	const answer = el("p", { class: "answer", role: "status" });

	async function submit(e) {
		e.preventDefault();
		if (!holdsJson(data, answer)) return;
		go.disabled = true;
		try {
			const said = await app.api.post("api/" + what + "s/" + encodeURIComponent(id) + "/send",
				"{\"event\":" + JSON.stringify(event.value) + ",\"data\":" + data.value + "}");
			answer.className = "answer good";
			say(answer, said?.connections ? "Sent to " + plural(said.connections, "connection", "connections") + "." : "Nobody is there: it went to no connection.");
		} catch (refused) {
			answer.className = "answer bad";
			say(answer, "Refused: " + words(refused));
		}
		go.disabled = false;
	}

	return el("section", { class: "card" }, el("h2", {}, "Send a message"),
		el("form", { onsubmit: submit }, field("Event name", event), field("Data (JSON)", data), el("p", { class: "buttons" }, go), answer));
}
