/**
 * A certificate for `backend.test` that signs itself, valid for a hundred years, made by
 * `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=backend.test -addext subjectAltName=DNS:backend.test`
 */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBnzCCAUSgAwIBAgIUJ//GT09GOiVRHaRgl+C6PO7D6CowCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMYmFja2VuZC50ZXN0MCAXDTI2MTEyNDE1NDAyNVoYDzIxMjYx
MDMxMTU0MDI1WjAXMRUwEwYDVQQDDAxiYWNrZW5kLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARTTjmA59KBp3c4qd6l8RYDmr0zydwaysAJ9Wp4lZASP3ms
lcZ0o/sd5MhetHcbwllBksx4U3RnVPSXEdvOhF3uo2wwajAdBgNVHQ4EFgQU9L5w
R35qSglcAxevcDs3GR1LHcUwHwYDVR0jBBgwFoAU9L5wR35qSglcAxevcDs3GR1L
HcUwDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxiYWNrZW5kLnRlc3QwCgYI
KoZIzj0EAwIDSQAwRgIhAOhdXddqtDFs76tn1TaBcJQnPf2ZZvXm23BJ6Q9rRh/X
AiEA3lAvGciBNRMNvpGA9q+zRxyEbN7G71SaIevBIvtd4q4=
-----END CERTIFICATE-----
`;

/** The key of that certificate: of use for tests only. */
export const privateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4pyWo5k80PKoiWYu
fi3XLwohv3CbAIsE9wMAm5499lehRANCAARTTjmA59KBp3c4qd6l8RYDmr0zydwa
ysAJ9Wp4lZASP3mslcZ0o/sd5MhetHcbwllBksx4U3RnVPSXEdvOhF3u
-----END PRIVATE KEY-----
`;
