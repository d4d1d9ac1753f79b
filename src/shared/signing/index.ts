/** Request signing between CLI, control plane and agents: RFC 9421 (hmac-sha256) with RFC 9530 Content-Digest. */
export { type Headers, type SignableRequest } from './base.ts';
export {
  checkContentDigest,
  contentDigest,
  contentDigestOf,
  createContentDigestVerifier,
  type ContentDigestVerifier,
} from './digest.ts';
export { createMemoryNonceStore, type NonceStore } from './nonces.ts';
export { signRequest, type RequestToSign, type SigningKey, type SignOptions } from './sign.ts';
export { verifyRequest, type VerifyOptions } from './verify.ts';
