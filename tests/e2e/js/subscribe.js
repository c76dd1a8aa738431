// SPDX-License-Identifier: Apache-2.0
// Subscribes with the npm package ws, says so, and prints the offsets and data of so many events as JSON.
'use strict';
const WebSocket = require('ws');

const [url, channel, count] = process.argv.slice(2);
const ws = new WebSocket(url, 'ringcast.v1.json');
const got = [];

ws.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'connected') {
        ws.send(JSON.stringify({ type: 'subscribe', channels: channel }));
    } else if (message.type === 'subscription-ack') {
        console.log('subscribed');
    } else if (message.type === 'event') {
        got.push([message.offset, message.data]);
        if (got.length === Number(count)) {
            console.log(JSON.stringify(got));
            ws.close(1000);
        }
    }
});
ws.on('close', (code) => process.exit(code === 1000 ? 0 : 1));
ws.on('error', (e) => {
    console.error(e);
    process.exit(1);
});
