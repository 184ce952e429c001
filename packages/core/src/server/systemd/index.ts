export { addressesOfDescriptors, addressOfDescriptor, type DescriptorAddress } from "./descriptor-address.ts";
export { matchesAddress, socketsForAddress } from "./matches-address.ts";
export { type SystemdSocket, socketsFromSystemd } from "./sockets-from-systemd.ts";
export { type SystemdNotifier, type SystemdNotifierOptions, systemdNotifier } from "./systemd-notifier.ts";
