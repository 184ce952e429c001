import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";
import { describe, expect, it, vi } from "vitest";
import { findIdentity, type Identity } from "./identity.ts";

// Becoming somebody else is for good, so it takes a process.
vi.setConfig({ testTimeout: 30_000 });

const root = userInfo().uid === 0;
const id = (...args: string[]): number => Number(execFileSync("id", args, { encoding: "utf8" }));

describe("findIdentity", () => {
  it("is that of the process without a user or group", () => {
    const { username, uid, gid } = userInfo();
    expect(findIdentity(undefined, undefined)).toEqual({ user: username, uid, gid });
  });

  it("takes the main group of the user, or the one that is named", () => {
    const user = root ? "nobody" : userInfo().username;
    const main = { user, uid: id("-u", user), gid: id("-g", user) };
    expect(findIdentity(user, undefined)).toEqual(main);
    if (root) expect(findIdentity(user, "root")).toEqual({ ...main, gid: 0 });
    if (root) expect(findIdentity(undefined, "nogroup")).toEqual({ user: "root", uid: 0, gid: main.gid });
  });

  it("leaves the process who it was, also when a user or group does not exist", () => {
    const before = [process.geteuid?.(), process.getegid?.()];
    for (const [user, group, key] of [
      ["cirque-no-such-user", undefined, "user"],
      ["nobody", "cirque-no-such-group", "group"],
      ["", undefined, "user"],
    ] as const) {
      const message = expect.stringMatching(new RegExp(`^${key}: .* does not exist$`));
      expect(() => findIdentity(user, group)).toThrow(
        expect.objectContaining({ code: "InvalidConfiguration", message }),
      );
      expect([process.geteuid?.(), process.getegid?.()]).toEqual(before);
    }
  });
});

describe("becomeIdentity", () => {
  it("changes all ids, and the groups, for good", () => {
    const [uid, gid] = [id("-u", "nobody"), id("-g", "nobody")];
    const became = { ids: [uid, uid, gid, gid], groups: [gid], back: "refused" };
    expect(become({ user: "nobody", uid, gid })).toEqual(root ? became : refused);
  });

  it("takes a group alone, and stays the user", () => {
    const gid = id("-g", "nobody");
    const became = { ids: [0, 0, gid, gid], back: "allowed" };
    if (root) expect(become({ user: "root", uid: 0, gid })).toMatchObject(became);
    else expect(become({ user: "root", uid: 0, gid })).toEqual(refused);
  });
});

const refused = {
  code: "InternalError",
  message: expect.stringMatching(/^cannot become user \w+ \(\d+\) with group \d+$/),
};

/** What a process is that has become the identity, or the error. */
function become(identity: Identity): unknown {
  const script = `
    import { becomeIdentity } from ${JSON.stringify(new URL("identity.ts", import.meta.url))};
    try {
      becomeIdentity(${JSON.stringify(identity)});
      const ids = [process.getuid(), process.geteuid(), process.getgid(), process.getegid()];
      const groups = process.getgroups();
      let back = "allowed";
      try {
        process.seteuid(0);
      } catch {
        back = "refused";
      }
      console.log(JSON.stringify({ ids, groups, back }));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }
  `;
  return JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }));
}
