// SPDX-License-Identifier: Apache-2.0
// The npm package jose. "make": keys of every algorithm, and a token by each, as JSON on standard output. "check": what it says of
// tokens, given on standard input as [{token, alg, jwk | pem | secret, options}]: their claims, or the code of its error.
'use strict';
const jose = require('jose');

const ALGORITHMS = ['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'EdDSA'];

async function make(claims) {
    const out = {};
    for (const alg of ALGORITHMS) {
        let key, shown;
        if (alg.startsWith('HS')) {
            key = await jose.generateSecret(alg, { extractable: true });
            shown = key;
        } else {
            const pair = await jose.generateKeyPair(alg, { extractable: true });
            key = pair.privateKey;
            shown = pair.publicKey;
        }
        const sign = (more) => new jose.SignJWT(claims).setProtectedHeader({ alg, ...more }).sign(key);
        out[alg] = {
            jwk: await jose.exportJWK(shown),
            pem: alg.startsWith('HS') ? null : await jose.exportSPKI(shown),
            token: await sign({ typ: 'JWT' }),
            named: await sign({ kid: `key of ${alg}` }),
        };
    }
    return out;
}

async function check(list) {
    return Promise.all(list.map(async ({ token, alg, jwk, pem, secret, options }) => {
        const key = secret ? Buffer.from(secret) : pem ? await jose.importSPKI(pem, alg) : await jose.importJWK(jwk, alg);
        try {
            const { payload, protectedHeader } = await jose.jwtVerify(token, key, { algorithms: [alg], ...options });
            return { payload, header: protectedHeader };
        } catch (e) {
            return { code: e.code };
        }
    }));
}

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const work = { make, check }[process.argv[2]];
work(input).then((out) => process.stdout.write(JSON.stringify(out)));
