import { HostsFile } from "./hosts-file.ts";
import { NameServerResolver } from "./name-server-resolver.ts";
import { type ResolvedName, type Resolver, saysNoSuchName } from "./resolver.ts";
import { SystemResolver } from "./system-resolver.ts";

/** Settings of an {@link AutomaticResolver}. */
export interface AutomaticResolverOptions {
  /** Default: the name servers of the machine. */
  readonly nameServers?: Resolver;
  /** Default: a {@link SystemResolver}. */
  readonly system?: Resolver;
  /** Default `/etc/hosts`. */
  readonly hostsFile?: string;
}

/**
 * What a connector asks by default: name servers, because they tell how long an answer is good for; and the operating
 * system for all that they cannot know:
 * - `localhost` and what ends in `.localhost`, names without a dot, names that end in `.local` (mDNS), and names in
 *   `/etc/hosts`;
 * - names that the name servers do not know, unless they end in a dot: a search domain may make them whole, as in
 *   Kubernetes, or another source of the machine knows them;
 * - every name, on a machine whose name servers cannot be reached at all.
 */
export class AutomaticResolver implements Resolver {
  readonly #nameServers: Resolver;
  readonly #system: Resolver;
  readonly #hostsFile: HostsFile;

  constructor(options: AutomaticResolverOptions = {}) {
    this.#nameServers = options.nameServers ?? new NameServerResolver();
    this.#system = options.system ?? new SystemResolver();
    this.#hostsFile = new HostsFile(options.hostsFile);
  }

  async resolve(name: string): Promise<ResolvedName> {
    if (isLocal(name) || (await this.#hostsFile.has(name))) return this.#system.resolve(name);
    try {
      return await this.#nameServers.resolve(name);
    } catch (error) {
      const unreachable = (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
      if (!unreachable && !(saysNoSuchName(error) && !name.endsWith("."))) throw error;
      return this.#system.resolve(name);
    }
  }
}

/** RFC 6761, 6.3; RFC 6762, 3. */
function isLocal(name: string): boolean {
  return !name.includes(".") || name.endsWith(".localhost") || name.endsWith(".local");
}
