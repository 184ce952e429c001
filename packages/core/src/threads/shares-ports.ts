/**
 * Whether several sockets can listen at one address, and share its connections evenly: `SO_REUSEPORT` as Linux and
 * FreeBSD 12 have it.
 */
export const sharesPorts: boolean = process.platform === "linux" || process.platform === "freebsd";
