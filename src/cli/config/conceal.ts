import type { ConfigPath, ConfigProblem } from './config-problem.ts'

/** A text of the file that holds what variables of the environment hold. */
export interface FilledText {
  readonly path: ConfigPath
  readonly values: readonly string[]
}

/**
 * The same problem without what a variable holds: it may be a secret that stands at the wrong place, and
 * what is printed ends in the logs of build machines.
 */
export function concealValues(
  problem: ConfigProblem,
  filled: readonly FilledText[],
): ConfigProblem {
  const inside = filled.filter(({ path }) => problem.path.every((part, i) => part === path[i]))
  if (inside.length === 0) return problem
  const expected = /^got .*?, which is not (.*)$/s.exec(problem.text)?.[1]
  if (expected !== undefined) {
    return { ...problem, text: `with its variables filled in is not ${expected}` }
  }
  const isShown = inside.some(({ values }) => values.some((value) => problem.text.includes(value)))
  if (!isShown && problem.path.at(-1) !== 'bucket') return problem
  return {
    ...problem,
    text: 'is refused with its variables filled in; what they hold is not shown',
  }
}
