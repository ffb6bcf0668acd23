import { generateKeyPairSync, sign } from 'node:crypto';
import {
  BitString,
  Boolean as Asn1Boolean,
  Constructed,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  Sequence,
  Set as Asn1Set,
  UTCTime,
  Utf8String,
  fromBER,
} from 'asn1js';
import type { AsnType } from 'asn1js';

/** Key and self-signed certificate of one provider process. */
export interface ServerCertificate {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly certificateDer: Buffer;
}

const validForMs = 365 * 24 * 60 * 60 * 1000;
/** The clock of this process may be a little behind by the time Terraform checks. */
const backdatedMs = 30_000;
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/**
 * A P-256 certificate for `localhost`, the name Terraform verifies. It lives as long as this process: Terraform learns
 * it from the handshake line and trusts no other. Node can sign but not build certificates, hence asn1js.
 */
export function createServerCertificate(nowMs: number): ServerCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyInfo = fromBER(publicKey.export({ type: 'spki', format: 'der' })).result;
  const signed = toBeSigned(publicKeyInfo, nowMs);
  const signature = sign('sha256', new Uint8Array(signed.toBER()), privateKey);
  const certificate = sequence(signed, algorithm(), new BitString({ valueHex: new Uint8Array(signature) }));
  const certificateDer = Buffer.from(certificate.toBER());
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: toPem(certificateDer),
    certificateDer,
  };
}

function toBeSigned(publicKeyInfo: AsnType, nowMs: number): Sequence {
  const name = sequence(
    new Asn1Set({ value: [sequence(identifier('2.5.4.3'), new Utf8String({ value: 'localhost' }))] }),
  );
  const validity = sequence(
    new UTCTime({ valueDate: new Date(nowMs - backdatedMs) }),
    new UTCTime({ valueDate: new Date(nowMs + validForMs) }),
  );
  const version3 = tagged(0, new Integer({ value: 2 }));
  const serial = new Integer({ value: 1 });
  return sequence(
    version3,
    serial,
    algorithm(),
    name,
    validity,
    name,
    publicKeyInfo,
    tagged(3, extensions()),
  );
}

/** A certificate authority of itself, for `localhost`, good for both ends of TLS. */
function extensions(): Sequence {
  const localhost = new Primitive({
    idBlock: { tagClass: 3, tagNumber: 2 },
    valueHex: new TextEncoder().encode('localhost'),
  });
  return sequence(
    extension('2.5.29.19', true, sequence(new Asn1Boolean({ value: true }))),
    extension('2.5.29.17', false, sequence(localhost)),
    extension('2.5.29.37', false, sequence(identifier('1.3.6.1.5.5.7.3.1'), identifier('1.3.6.1.5.5.7.3.2'))),
  );
}

function extension(id: string, critical: boolean, value: Sequence): Sequence {
  const flag = critical ? [new Asn1Boolean({ value: true })] : [];
  return sequence(identifier(id), ...flag, new OctetString({ valueHex: value.toBER() }));
}

function algorithm(): Sequence {
  return sequence(identifier(ecdsaWithSha256));
}

function tagged(tagNumber: number, value: AsnType): Constructed {
  return new Constructed({ idBlock: { tagClass: 3, tagNumber }, value: [value] });
}

function sequence(...value: AsnType[]): Sequence {
  return new Sequence({ value });
}

function identifier(value: string): ObjectIdentifier {
  return new ObjectIdentifier({ value });
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
