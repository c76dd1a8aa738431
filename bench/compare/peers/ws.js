// SPDX-License-Identifier: Apache-2.0
//
// What one writes by hand with the package `ws`: one registry of channels, JSON messages, no compression. An event is
// made into bytes once and these are sent to every subscriber. Whoever is connected may publish.
//
//   node ws.js MODULES HOST PORT [KEY CERTIFICATE]
//
//   {"type":"subscribe","channel":C}          -> {"type":"subscribed","channel":C}
//   {"type":"publish","channel":C,"data":D}   -> {"type":"event","channel":C,"data":D} to its subscribers
"use strict";
const fs = require("fs");
const http = require("http");
const https = require("https");
const path = require("path");

const [modules, host, port, key, certificate] = process.argv.slice(2);
const { WebSocketServer } = require(path.join(modules, "ws"));

const server = key
	? https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) })
	: http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false });
const channels = new Map();

function subscribe(socket, channel) {
	let subscribers = channels.get(channel);
	if (!subscribers) {
		subscribers = new Set();
		channels.set(channel, subscribers);
	}
	subscribers.add(socket);
	socket.channels.add(channel);
	socket.send(JSON.stringify({ type: "subscribed", channel }));
}

function publish(channel, data) {
	const subscribers = channels.get(channel);
	if (!subscribers) return;
	const bytes = Buffer.from(JSON.stringify({ type: "event", channel, data }));
	for (const socket of subscribers) socket.send(bytes, { binary: false });
}

function leave(socket) {
	for (const channel of socket.channels) {
		const subscribers = channels.get(channel);
		subscribers.delete(socket);
		if (subscribers.size === 0) channels.delete(channel);
	}
}

function hear(socket, bytes) {
	let message;
	try {
		message = JSON.parse(bytes);
	} catch {
		socket.send('{"type":"error","message":"not JSON"}');
		return;
	}
	if (message.type === "publish") publish(message.channel, message.data);
	else if (message.type === "subscribe") subscribe(socket, message.channel);
	else socket.send('{"type":"error","message":"unknown type"}');
}

sockets.on("connection", (socket) => {
	socket.channels = new Set();
	socket.on("message", (bytes) => hear(socket, bytes));
	socket.on("close", () => leave(socket));
	socket.on("error", () => {});
});
server.listen({ port: Number(port), host, backlog: 4096 });
