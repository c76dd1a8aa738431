// SPDX-License-Identifier: Apache-2.0
// Sends messages of all kinds to an echo endpoint with the npm package ws, and prints what came of it as JSON.
'use strict';
const assert = require('assert');
const WebSocket = require('ws');

const [url, deflate] = process.argv.slice(2);
const ws = new WebSocket(url, { perMessageDeflate: deflate === 'true' });
const sent = ['', 'κόσμε', 'x'.repeat(70000), Buffer.alloc(0), Buffer.from([0, 255]), Buffer.alloc(1 << 20, 7), '💩'];
for (let i = 0; i < 500; i++) {
    sent.push(String(i));
}
let at = 0;
let pong = null;

ws.on('open', () => {
    for (const message of sent) {
        ws.send(message);
    }
    // One message in three fragments.
    ws.send('frag', { fin: false });
    ws.send('ments', { fin: false });
    ws.send('!', { fin: true });
    sent.push('fragments!');
    ws.ping('are you there');
});
ws.on('pong', (data) => { pong = data.toString(); });
ws.on('message', (data, binary) => {
    const expected = sent[at++];
    assert.strictEqual(binary, Buffer.isBuffer(expected));
    assert.ok(data.equals(Buffer.from(expected)), `message ${at} came back changed`);
    if (at === sent.length) {
        ws.close(3001, 'done');
    }
});
ws.on('close', (code) => {
    console.log(JSON.stringify({ messages: at, pong, code }));
    process.exit(0);
});
ws.on('error', (e) => {
    console.error(e);
    process.exit(1);
});
