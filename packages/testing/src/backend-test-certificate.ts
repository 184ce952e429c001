/**
 * A certificate for `backend.test` that signs itself, valid for a hundred years:
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=backend.test -addext subjectAltName=DNS:backend.test`
 */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBnTCCAUSgAwIBAgIUNsUfGLc2ZogYMPjn0IAiguWE+tIwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYmFja2VuZC50ZXN0MCAXDTI2MTEyNDEzMzgwMVoYDzIxMjYx
MDMxMTMzODAxWjAXMRUwEwYDVQQDDAxiYWNrZW5kLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATbXyjFFgrrmQIBb4iiG8LIOZtZ50vST7VbxXN1sV6AUFcJ
eRi32DAg4A2EGhSr/cLfMUcP+hOFDL6O3ewHZcDAo2wwajAdBgNVHQ4EFgQUokqN
eVx2bMc+vEtyxdbRLQ60cZgwHwYDVR0jBBgwFoAUokqNeVx2bMc+vEtyxdbRLQ60
cZgwDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxiYWNrZW5kLnRlc3QwCgYI
KoZIzj0EAwIDRwAwRAIgIjAJm2AXR4/sfke6inVFQY5+4eoLMD/3yNQc+lg99MoC
IG9xF1r6PuNlFZB9uD0PpNEpFcOjlmRrt1JxHXM6xvl2
-----END CERTIFICATE-----
`;

/** The key of that certificate: of use for tests only. */
export const privateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEhG6pmc6BlUkmW+c
Yv9OuTdp1m8MfVrIbpwamCpWfhWhRANCAATbXyjFFgrrmQIBb4iiG8LIOZtZ50vS
T7VbxXN1sV6AUFcJeRi32DAg4A2EGhSr/cLfMUcP+hOFDL6O3ewHZcDA
-----END PRIVATE KEY-----
`;
