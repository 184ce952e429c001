/** What kind of address a socket is bound to. */
export type SocketKind = "tcp" | "unix" | "udp";

/** A socket that is bound, and that the next process can inherit (`UPG-01`). */
export interface ListeningSocket {
  readonly kind: SocketKind;
  /** As it was configured, which is what the next process looks it up by (`UPG-02`). */
  readonly address: string;
  /** Where it is bound: the same, but with the port that the system chose. */
  readonly boundAddress: string;
  readonly descriptor: number;
}

/** A listening socket, and the key of the service that it belongs to: several may leave the port to the system. */
export interface ServiceSocket extends ListeningSocket {
  readonly service: string;
}

/** The listening sockets of a service in one thread: inherited ones to take, own ones to pass on. */
export interface ListeningSockets {
  /**
   * The descriptors that this thread has inherited for an address, to be bound with `listen({ fd })`; empty when it has
   * to bind the address itself. They are given out once.
   */
  take(kind: SocketKind, address: string): readonly number[];
  /** Whether {@link take} would give one in this thread or in another one. */
  inherits(kind: SocketKind, address: string): boolean;
  /**
   * The address to bind when nothing was inherited: the same, but where the configured port is 0, the port that all
   * threads share.
   */
  resolve(kind: SocketKind, address: string): string;
  /** From here on, {@link resolve} gives the second address for the first one. */
  assign(kind: SocketKind, address: string, boundAddress: string): void;
  /**
   * Whether other sockets listen at the address as well, those of other threads or of the next process, so that binding
   * needs `reusePort`.
   */
  readonly shared: boolean;
  /** Whether the next process has the sockets: then what belongs to them on disk must stay. */
  readonly handedOver: boolean;
  /** Says that this thread listens. The function returned says that it has stopped. */
  offer(socket: ListeningSocket): () => void;
}
