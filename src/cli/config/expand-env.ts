/** What stands for the environment of the process. */
export type Env = Readonly<Record<string, string | undefined>>

/** The text with its variables filled in and what they hold, or what is wrong with it. */
export type Expanded =
  | { readonly text: string; readonly values: readonly string[] }
  | { readonly problem: string }

const REFERENCE = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{[^}]*\}?/g

/**
 * Fills in `${NAME}` and `${NAME:-default}`; the default also stands for an empty variable, as in a
 * shell. `$$` is one `$`; any other `$` is itself. What a variable holds is not looked into again.
 */
export function expandEnv(text: string, env: Env): Expanded {
  const problems: string[] = []
  const values: string[] = []
  const expanded = text.replaceAll(REFERENCE, (whole, name?: string, standard?: string) => {
    if (whole === '$$') return '$'
    if (name === undefined) {
      problems.push(
        `has ${whole}, which is neither \${NAME} nor \${NAME:-default}; a $ itself is $$`,
      )
      return whole
    }
    const value = env[name]
    if (standard !== undefined && (value === undefined || value === '')) return standard
    if (value === undefined) {
      problems.push(`needs the environment variable ${name}, which is not set`)
    } else if (value !== '') values.push(value)
    return value ?? whole
  })
  return problems.length === 0 ? { text: expanded, values } : { problem: problems.join(', and ') }
}
