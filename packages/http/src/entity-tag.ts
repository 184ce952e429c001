/**
 * The entity tags of an `If-Match` or `If-None-Match` value (RFC 9110, 8.8.3), each with its quotes and its `W/`; `"*"`
 * for any; undefined for what is no such list.
 */
export function parseEntityTags(value: string): readonly string[] | "*" | undefined {
  if (value === "*") return "*";
  const tags: string[] = [];
  let position = 0;
  while (position < value.length) {
    ENTITY_TAG.lastIndex = position;
    const [whole = "", tag] = ENTITY_TAG.exec(value) ?? [];
    if (whole === "") return undefined;
    if (tag !== undefined) tags.push(tag);
    position = ENTITY_TAG.lastIndex;
  }
  return tags.length > 0 ? tags : undefined;
}

/** Whether two entity tags are the same bytes: neither is weak, and they are equal (RFC 9110, 8.8.3.2). */
export function matchStrongly(one: string, other: string): boolean {
  return one === other && one.startsWith('"');
}

/** Whether two entity tags stand for the same content, weak or not. */
export function matchWeakly(one: string, other: string): boolean {
  return opaque(one) === opaque(other);
}

function opaque(tag: string): string {
  return tag.startsWith("W/") ? tag.slice(2) : tag;
}

/** One tag with the comma behind it, or, as lists may have (RFC 9110, 5.6.1), only a comma. */
const ENTITY_TAG = /[ \t]*(?:((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)|,)[ \t]*/y;
