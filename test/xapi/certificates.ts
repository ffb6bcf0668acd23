import { webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** AA:BB:…, as openssl prints it. */
  readonly fingerprint: string;
}

/** A self-signed certificate, as every host makes one for itself. */
export async function selfSigned(name: string): Promise<Certificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys: keys,
    signingAlgorithm: ALGORITHM,
  });
  return pack(certificate, keys.privateKey);
}

/** An authority and a certificate it has signed for the given address. */
export async function signedFor(address: string): Promise<{ authority: Certificate; host: Certificate }> {
  const authorityKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=authority',
    keys: authorityKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true)],
  });
  const hostKeys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const host = await x509.X509CertificateGenerator.create({
    subject: 'CN=host',
    issuer: authority.subject,
    publicKey: hostKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: address }])],
  });
  return {
    authority: await pack(authority, authorityKeys.privateKey),
    host: await pack(host, hostKeys.privateKey),
  };
}

async function pack(certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<Certificate> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const cert = certificate.toString('pem');
  return {
    key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
    cert,
    fingerprint: new X509Certificate(cert).fingerprint256,
  };
}
