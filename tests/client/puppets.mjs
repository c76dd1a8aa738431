// SPDX-License-Identifier: Apache-2.0
// puppet.mjs from outside: a client in another process.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until, within } from "./gateway.mjs";

export class Puppet {
	/** clock: milliseconds that its clock is ahead; wrap: a command in front of it. */
	static async start({ clock = 0, wrap = [] } = {}) {
		const p = new Puppet();
		const command = [...wrap, process.execPath, fileURLToPath(new URL("puppet.mjs", import.meta.url))];
		p.process = spawn(command[0], command.slice(1), { env: { ...process.env, PUPPET_CLOCK: String(clock) }, stdio: ["ignore", "inherit", "inherit", "ipc"] });
		Object.assign(p, { told: [], events: [], uncaught: [], waiting: new Map(), next: 0, here: false, ended: once(p.process, "close") });
		p.process.on("message", (m) => p.#hear(m));
		await until(() => p.here, "the client's process", 60);
		return p;
	}

	#hear(m) {
		if (m.here) this.here = true;
		else if (m.told) this.told.push(m.told);
		else if (m.event) this.events.push(m.event);
		else if (m.uncaught) this.uncaught.push(m.uncaught);
		else {
			const { resolve, reject } = this.waiting.get(m.id);
			this.waiting.delete(m.id);
			if (m.error) reject(Object.assign(new Error(m.error.message), m.error));
			else resolve(m.value);
		}
	}

	ask(name, args = {}, seconds = 30) {
		const id = this.next++;
		const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
		this.process.send({ id, name, args });
		return within(answer, `${name} ${JSON.stringify(args)}`, seconds);
	}

	of(name) {
		return this.told.filter((t) => t[0] === name).map((t) => t[1]);
	}

	heard(name, n = 1, seconds = 20) {
		return until(() => this.of(name)[n - 1], () => `${name} ${n}; told were ${JSON.stringify(this.told)}`, seconds);
	}

	/** The n of its events' data, when there are so many. */
	numbers(count, seconds = 20) {
		return until(() => this.events.length >= count && this.events.map((e) => e.data.n), () => `${count} events; there are ${JSON.stringify(this.events.map((e) => e.data))}; ${JSON.stringify(this.told)}`, seconds);
	}

	async close() {
		this.process.kill("SIGCONT");
		this.process.kill("SIGKILL");
		await this.ended;
	}
}

export const upTo = (n, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i);
