// Verifies a Sigstore bundle around a DSSE envelope by sigstore-js, offline, against a public key and an artifact.
//
// Usage: node verify.mjs KEY.pem BUNDLE.json ARTIFACT
//
// It prints the statement's predicate type and ends with 0 when the bundle holds, with 1 when it does not, and with 2
// when it was called wrongly.
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';

const NOTHING_BUT_THE_KEY = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const STATEMENT_PAYLOAD = 'application/vnd.in-toto+json';

function trust(keyPath) {
  const publicKey = createPublicKey(readFileSync(keyPath));
  return toTrustMaterial(NOTHING_BUT_THE_KEY, () => ({ publicKey, validFor: () => true }));
}

// The library verifies the signature over the statement; whose statement it is, is left to the caller.
function comparesWith(artifact, subject) {
  const digests = Object.entries(subject.digest);
  return digests.length > 0 && digests.every(([name, hex]) => createHash(name).update(artifact).digest('hex') === hex);
}

function verify(keyPath, bundlePath, artifactPath) {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath, 'utf8')));
  const verifier = new Verifier(trust(keyPath), { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
  verifier.verify(toSignedEntity(bundle));

  const envelope = bundle.content.dsseEnvelope;
  if (envelope?.payloadType !== STATEMENT_PAYLOAD) {
    throw new Error('the bundle holds no statement');
  }
  const statement = JSON.parse(envelope.payload.toString('utf8'));
  const artifact = readFileSync(artifactPath);
  if (!statement.subject.some((subject) => comparesWith(artifact, subject))) {
    throw new Error("no subject has the artifact's digests");
  }
  return statement.predicateType;
}

const paths = process.argv.slice(2);
if (paths.length !== 3) {
  console.error('usage: node verify.mjs KEY.pem BUNDLE.json ARTIFACT');
  process.exit(2);
}
try {
  console.log('verified', verify(...paths));
} catch (error) {
  console.error('refused:', error.message);
  process.exit(1);
}
