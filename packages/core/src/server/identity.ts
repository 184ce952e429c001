import { userInfo } from "node:os";
import { CirqueError } from "../errors/cirque-error.ts";

/** A user and a group, as the system knows them. */
export interface Identity {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Looks up a user and a group, or the main group of the user. Only root can, since Node has no such look-up: the process
 * takes their effective ids for a moment.
 *
 * @param user Default: the user that runs the process.
 * @throws CirqueError `InvalidConfiguration` when one does not exist.
 */
export function findIdentity(user: string | undefined, group: string | undefined): Identity {
  const { seteuid, setegid, geteuid, getegid } = process;
  if (!seteuid || !setegid || !geteuid || !getegid) {
    throw CirqueError.internal("InvalidConfiguration", "user and group cannot be changed on this platform");
  }
  const before = { uid: geteuid(), gid: getegid() };
  try {
    // The group first: with another effective user the process may not change it any more.
    const gid = group === undefined ? undefined : effectiveGroup(group);
    if (user !== undefined) assume("user", user, () => seteuid(user));
    const { username, uid, gid: mainGid } = userInfo();
    return { user: username, uid, gid: gid ?? mainGid };
  } finally {
    seteuid(before.uid);
    setegid(before.gid);
  }

  function effectiveGroup(name: string): number {
    assume("group", name, () => setegid?.(name));
    return Number(getegid?.());
  }
}

/**
 * Gives up the rights of root for good: supplementary groups, group, then user (`DMN-03`).
 *
 * @throws CirqueError `InternalError` when the system refuses.
 */
export function becomeIdentity({ user, uid, gid }: Identity): void {
  try {
    initgroups?.call(process, user, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw CirqueError.because("InternalError", `cannot become user ${user} (${uid}) with group ${gid}`, error);
  }
}

/** Missing in the declarations of Node. */
const { initgroups } = process as { initgroups?: (user: string, extraGroup: number) => void };

function assume(key: string, name: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    throw CirqueError.because("InvalidConfiguration", `${key}: ${JSON.stringify(name)} does not exist`, error);
  }
}
