// SPDX-License-Identifier: Apache-2.0
// What the script for pages without modules adds: a global of all that the module exports.
import type * as all from "./ringcast.js";

declare global {
	var ringcast: Pick<typeof all, "Client" | "RingcastError" | "connect" | "version">;
}
