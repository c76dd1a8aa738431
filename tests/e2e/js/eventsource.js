// SPDX-License-Identifier: Apache-2.0
// The npm package eventsource: prints every event, gap, opening and error as a line of JSON; ends when its input does.
'use strict';
const { EventSource } = require('eventsource');

const [url] = process.argv.slice(2);
const source = new EventSource(url);
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

source.onopen = () => say({ open: true });
source.onerror = (e) => say({ error: String(e.message || e.code || ''), state: source.readyState });
source.addEventListener('e', (m) => say({ event: JSON.parse(m.data), id: m.lastEventId }));
source.addEventListener('gap', (m) => say({ gap: JSON.parse(m.data), id: m.lastEventId }));
process.stdin.resume();
process.stdin.on('end', () => {
    source.close();
    process.exit(0);
});
