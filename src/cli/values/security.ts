/**
 * `--security-opt`: one flag for four mechanisms of the kernel.
 *
 *     seccomp=FILE | unconfined | builtin      which system calls there are
 *     no-new-privileges[=true|false]           whether a set-uid program may gain anything
 *     apparmor=unconfined                      no profile of the host's; none is ours to set
 *     label=disable                            no SELinux label; none is ours to set
 *
 * Read on: spec/security.ts.
 */

import { BadValue, parseBool } from "../flags.ts"

export type SecurityOption =
  | { readonly kind: "seccomp"; readonly policy: "builtin" | "unconfined" | { readonly path: string } }
  | { readonly kind: "no-new-privileges"; readonly on: boolean }
  /** Asks for what is so anyway. */
  | { readonly kind: "none" }

const TAKES = "it takes seccomp=FILE|unconfined, no-new-privileges, apparmor=unconfined, label=disable"

/** Docker still accepts the colon of its first years in place of the equals sign. */
export function securityOption(text: string): SecurityOption {
  const [, key, value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(text) ?? []
  switch (key) {
    case "seccomp":
      if (!value) throw new BadValue("seccomp needs a value", "write seccomp=FILE or seccomp=unconfined")
      return { kind: key, policy: value === "unconfined" || value === "builtin" ? value : { path: value } }
    case "no-new-privileges":
      return { kind: key, on: value === undefined || parseBool(value) }
    case "apparmor":
      if (value === "unconfined") return { kind: "none" }
      throw new BadValue("AppArmor profiles are not built yet", TAKES, "UNSUPPORTED")
    case "label":
      if (value === "disable") return { kind: "none" }
      throw new BadValue("SELinux labels are not built yet", TAKES, "UNSUPPORTED")
    case "systempaths":
    case "writable-cgroups":
      throw new BadValue(`${key} is not built yet`, TAKES, "UNSUPPORTED")
  }
  throw new BadValue("there is no such option", TAKES)
}
