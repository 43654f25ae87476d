import { readFileSync, writeSync } from 'node:fs'

/** Version of this package, as package.json has it. */
export function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url)
  return String((JSON.parse(readFileSync(path, 'utf8')) as { version: unknown }).version)
}

/**
 * Answers `--version` if that is all that was asked, without loading the program: scripts ask it
 * most often.
 *
 * @returns false if something else was asked, or if the answer could not be written, so that the
 *   program says why
 */
export function answersVersion(argv: readonly string[]): boolean {
  if (argv.length !== 1 || argv[0] !== '--version') return false
  try {
    writeSync(process.stdout.fd, `${packageVersion()}\n`)
    return true
  } catch {
    return false
  }
}
