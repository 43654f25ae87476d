import { readFileSync } from 'node:fs'

export interface DockerStage {
  readonly name: string | undefined
  readonly instructions: readonly { readonly verb: string; readonly rest: string }[]
}

/** The stages of a Dockerfile; continued lines are joined, comments left out. */
export function dockerStages(path: string): DockerStage[] {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const stages: { name: string | undefined; instructions: { verb: string; rest: string }[] }[] = []
  for (const line of lines) {
    const [, verb = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
    if (verb === 'FROM') stages.push({ name: / AS (\S+)$/.exec(rest)?.[1], instructions: [] })
    else stages.at(-1)?.instructions.push({ verb, rest })
  }
  return stages
}

/** `A=1 B="2 3"` as a record. */
export function dockerVariables(rest: string): Record<string, string> {
  const pairs = [...rest.matchAll(/(\w+)=(?:"([^"]*)"|(\S*))/g)]
  return Object.fromEntries(
    pairs.map(([, name = '', quoted, bare]) => [name, quoted ?? bare ?? '']),
  )
}

/** The JSON form of ENTRYPOINT, CMD or HEALTHCHECK. */
export function execForm(stage: DockerStage, verb: string): string[] {
  const found = stage.instructions.find((one) => one.verb === verb)
  if (found === undefined) throw new Error(`the Dockerfile has no ${verb}`)
  return JSON.parse(found.rest.slice(found.rest.indexOf('['))) as string[]
}
