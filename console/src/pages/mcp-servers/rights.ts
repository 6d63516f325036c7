/** Which of a server's tools agents may use, and which need nobody's approval. */

export interface Rights {
  /** Null: all, also those that the server will have. */
  allowed: readonly string[] | null;
  autoApproved: readonly string[];
}

/** With one tool allowed or not; of `names`, the server's tools, the others stay as they are. */
export function withAllowed({ allowed, autoApproved }: Rights, names: readonly string[], name: string, isOn: boolean): Rights {
  const before = allowed ?? names;
  const next = isOn ? [...before.filter((each) => each !== name), name] : before.filter((each) => each !== name);
  return { allowed: next, autoApproved: isOn ? autoApproved : autoApproved.filter((each) => each !== name) };
}

export function withAutoApproval({ allowed, autoApproved }: Rights, name: string, isOn: boolean): Rights {
  const others = autoApproved.filter((each) => each !== name);
  return { allowed, autoApproved: isOn ? [...others, name] : others };
}
