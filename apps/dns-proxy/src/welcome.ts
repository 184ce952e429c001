/** What a person can try. */
export function welcome(address: string, resolvers: readonly string[]): string {
  const colon = address.lastIndexOf(":");
  const dig = `dig @${address.slice(0, colon)} -p ${address.slice(colon + 1)}`;
  return `
DNS is proxied at ${address}, over UDP and TCP, to ${resolvers.join(" and ")}.

Try this in another terminal:
  ${dig} www.demo
  ${dig} who.demo txt
      again and again: the resolvers take turns
  ${dig} long.demo txt
      too long for a datagram: dig asks again, over TCP

Ctrl+C stops it.
`;
}
