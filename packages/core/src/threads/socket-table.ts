import type { ListeningSocket, ListeningSockets, ServiceSocket, SocketKind } from "./listening-sockets.ts";

/** What a {@link SocketTable} is made of. */
export interface SocketTableOptions {
  readonly inherited?: readonly ServiceSocket[];
  /** Inherited sockets that are for other threads of this process. */
  readonly elsewhere?: readonly ServiceSocket[];
  /** See `DataThreadStart.assigned`. */
  readonly assigned?: ReadonlyMap<string, string>;
  /** Whether addresses are shared with other sockets. */
  readonly shared: boolean;
  readonly onListening?: (socket: ServiceSocket) => void;
  readonly onClosed?: (socket: ServiceSocket) => void;
}

/** The listening sockets of one thread. */
export class SocketTable {
  readonly shared: boolean;
  /** Set when the next process has them. */
  handedOver = false;
  readonly #inherited: ServiceSocket[];
  readonly #assigned: Map<string, string>;
  readonly #open = new Set<ServiceSocket>();
  readonly #options: SocketTableOptions;

  constructor(options: SocketTableOptions) {
    this.shared = options.shared;
    this.#options = options;
    this.#inherited = [...(options.inherited ?? [])];
    this.#assigned = new Map(options.assigned);
    // The port that the system once chose stays.
    for (const socket of [...this.#inherited, ...(options.elsewhere ?? [])]) this.assign(socket);
  }

  /** The sockets that are open. */
  get open(): ReadonlySet<ServiceSocket> {
    return this.#open;
  }

  /** Inherited sockets that nobody has taken. */
  get untaken(): readonly ServiceSocket[] {
    return this.#inherited;
  }

  get assigned(): ReadonlyMap<string, string> {
    return this.#assigned;
  }

  /** Makes the bound address of a socket the one to bind for its configured address. */
  assign({ service, kind, address, boundAddress }: Omit<ServiceSocket, "descriptor">): void {
    this.#assigned.set(assignmentKey(service, kind, address), boundAddress);
  }

  /** Those of a service. */
  forService(service: string): ListeningSockets {
    return new SocketsOfService(this, service, {
      inherited: this.#inherited,
      open: this.#open,
      options: this.#options,
    });
  }
}

interface SharedSockets {
  readonly inherited: ServiceSocket[];
  readonly open: Set<ServiceSocket>;
  readonly options: SocketTableOptions;
}

class SocketsOfService implements ListeningSockets {
  readonly #table: SocketTable;
  readonly #service: string;
  readonly #sockets: SharedSockets;

  constructor(table: SocketTable, service: string, sockets: SharedSockets) {
    this.#table = table;
    this.#service = service;
    this.#sockets = sockets;
  }

  get shared(): boolean {
    return this.#table.shared;
  }

  get handedOver(): boolean {
    return this.#table.handedOver;
  }

  inherits(kind: SocketKind, address: string): boolean {
    const { inherited, options } = this.#sockets;
    const all = [...inherited, ...(options.elsewhere ?? [])];
    return all.some((socket) => belongsTo(socket, this.#service, kind, address));
  }

  take(kind: SocketKind, address: string): readonly number[] {
    const { inherited } = this.#sockets;
    const taken = inherited.filter((socket) => belongsTo(socket, this.#service, kind, address));
    for (const socket of taken) inherited.splice(inherited.indexOf(socket), 1);
    return taken.map(({ descriptor }) => descriptor);
  }

  resolve(kind: SocketKind, address: string): string {
    return this.#table.assigned.get(assignmentKey(this.#service, kind, address)) ?? address;
  }

  assign(kind: SocketKind, address: string, boundAddress: string): void {
    this.#table.assign({ service: this.#service, kind, address, boundAddress });
  }

  offer(socket: ListeningSocket): () => void {
    const { open, options } = this.#sockets;
    const offered = { ...socket, service: this.#service };
    open.add(offered);
    options.onListening?.(offered);
    return () => {
      if (open.delete(offered)) options.onClosed?.(offered);
    };
  }
}

/** Whether an inherited socket is the one for an address of a service. */
export function belongsTo(socket: ServiceSocket, service: string, kind: SocketKind, address: string): boolean {
  if (socket.kind !== kind || socket.address !== address) return false;
  // A service may be renamed; but several services may leave the port to the system.
  return socket.service === service || !leavesPortToSystem(kind, address);
}

function leavesPortToSystem(kind: SocketKind, address: string): boolean {
  return kind !== "unix" && address.endsWith(":0");
}

function assignmentKey(service: string, kind: SocketKind, address: string): string {
  return JSON.stringify([service, kind, address]);
}
