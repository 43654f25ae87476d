import { readFileSync } from 'node:fs'

/** Version of this package, as package.json has it. */
export function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url)
  return String((JSON.parse(readFileSync(path, 'utf8')) as { version: unknown }).version)
}
