// SPDX-License-Identifier: Apache-2.0
// Subscribes with the npm package ws and permessage-deflate, by a message that is deflated; prints what came of so many events as JSON.
'use strict';
const WebSocket = require('ws');

const [url, channel, count] = process.argv.slice(2);
const ws = new WebSocket(url, 'ringcast.v1.json', { perMessageDeflate: { threshold: 0, clientMaxWindowBits: 10 } });
const data = [];
let pong = false;
let start = 0;

ws.on('message', (raw) => {
    const message = JSON.parse(raw);
    if (message.type === 'connected') {
        ws.send(JSON.stringify({ type: 'subscribe', channels: channel, filler: 'x'.repeat(5000) }));
    } else if (message.type === 'subscription-ack') {
        ws.send(JSON.stringify({ type: 'ping' }));
    } else if (message.type === 'pong') {
        pong = true;
        start = ws._socket.bytesRead;
        console.log('subscribed');
    } else if (message.type === 'event') {
        data.push(message.data);
        if (data.length === Number(count)) {
            console.log(JSON.stringify({ data, pong, extensions: ws.extensions, bytes: ws._socket.bytesRead - start }));
            ws.close(1000);
        }
    }
});
ws.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
ws.on('error', (e) => {
    console.error(e);
    process.exit(1);
});
