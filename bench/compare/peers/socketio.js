// SPDX-License-Identifier: Apache-2.0
//
// The same with the package `socket.io`: its rooms are the channels, its in-memory adapter makes an event into bytes
// once for all of a room. WebSocket only, no compression. Whoever is connected may publish.
//
//   node socketio.js MODULES HOST PORT [KEY CERTIFICATE]
//
//   "subscribe", C     -> "subscribed", C
//   "publish", C, D    -> "event", C, D to the room
"use strict";
const fs = require("fs");
const http = require("http");
const https = require("https");
const path = require("path");

const [modules, host, port, key, certificate] = process.argv.slice(2);
const { Server } = require(path.join(modules, "socket.io"));

const server = key
	? https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) })
	: http.createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => {
	socket.on("subscribe", (channel) => {
		socket.join(channel);
		socket.emit("subscribed", channel);
	});
	socket.on("publish", (channel, data) => io.to(channel).emit("event", channel, data));
});
server.listen({ port: Number(port), host, backlog: 4096 });
