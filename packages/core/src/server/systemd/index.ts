export { addressesOfDescriptors, addressOfDescriptor, type DescriptorAddress } from "./descriptor-address.ts";
export { matchesAddress, socketsForAddress } from "./matches-address.ts";
export { type SystemdSocket, socketsFromSystemd } from "./sockets-from-systemd.ts";
