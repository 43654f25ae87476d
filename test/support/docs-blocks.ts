import { readFileSync } from 'node:fs'

/** A shell block of a page, with what the comment above it says. */
export type DocsBlock = { readonly line: number; readonly code: string } & (
  | { readonly mode: 'run'; readonly exitCode: number; readonly afterSeconds: number }
  | { readonly mode: 'background'; readonly until: string }
  | { readonly mode: 'kill' }
  | { readonly mode: 'stop-oldest' }
  | { readonly mode: 'not-run'; readonly reason: string }
  | { readonly mode: 'unmarked' }
)

const BLOCK =
  /(?:<!-- ([^>]*?) -->\n)?```sh\n([\s\S]*?)```|<!-- (kill the background|stop the oldest in the background) -->/g

/**
 * The `sh` blocks of a page, in order. The comment directly above a block is one of
 * `run`, `run after 11 s`, `run, exits 6`, `run in background until "text"` and `not run: reason`.
 * `<!-- kill the background -->` by itself ends what runs in the background with SIGKILL,
 * `<!-- stop the oldest in the background -->` the first of it with SIGTERM.
 */
export function shellBlocks(path: string): DocsBlock[] {
  const text = readFileSync(path, 'utf8')
  return [...text.matchAll(BLOCK)].map(({ 1: marker, 2: code = '', 3: end, index }) => {
    const at = { line: text.slice(0, index).split('\n').length, code }
    if (end === undefined) return { ...at, ...modeOf(marker) }
    return { ...at, mode: end.startsWith('kill') ? 'kill' : 'stop-oldest' }
  })
}

/** Whether a page needs a MinIO server with this bucket: `<!-- needs MinIO, bucket my-bucket -->`. */
export function neededBucket(path: string): string | undefined {
  return /<!-- needs MinIO, bucket (\S+) -->/.exec(readFileSync(path, 'utf8'))?.[1]
}

function modeOf(marker = '') {
  const background = /^run in background until "(.+)"$/.exec(marker)
  if (background !== null) return { mode: 'background', until: background[1]! } as const
  const notRun = /^not run: (.{10,})$/.exec(marker)
  if (notRun !== null) return { mode: 'not-run', reason: notRun[1]! } as const
  const run = /^run(?: after (\d+) s)?(?:, exits (\d+))?$/.exec(marker)
  if (run === null) return { mode: 'unmarked' } as const
  return { mode: 'run', afterSeconds: Number(run[1] ?? 0), exitCode: Number(run[2] ?? 0) } as const
}
