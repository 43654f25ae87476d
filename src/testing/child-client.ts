import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CaseContext } from './case-context.ts'
import { within } from './expect.ts'

/** What a child does with its store; see `child.ts`. */
export type ChildJob = { readonly job: 'race'; readonly rounds: number } | { readonly job: 'touch' }

const CHILD_LIMIT_MS = 60_000
const EXIT_LIMIT_MS = 2000

/** Runs `count` children at once on the case's prefix; resolves with what each reported. */
export async function runChildren(
  context: CaseContext,
  count: number,
  job: ChildJob,
): Promise<unknown[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const child = startChild(context, index, job)
      const { report } = await within(CHILD_LIMIT_MS, 'a child process', child.done)
      return report
    }),
  )
}

/** A child opens a store, uses it and closes it: then nothing may keep it alive. */
export async function childEnds(context: CaseContext): Promise<void> {
  const child = startChild(context, 0, { job: 'touch' })
  try {
    await within(CHILD_LIMIT_MS, 'the work of the child', child.closed)
    await within(EXIT_LIMIT_MS, 'the end of the process after close', child.done)
  } finally {
    child.kill()
  }
}

function startChild(context: CaseContext, index: number, job: ChildJob) {
  const { child: spec } = context.harness
  assert.ok(spec, 'the harness has no child')
  const self = import.meta.url
  const script = fileURLToPath(new URL(`./child${self.endsWith('.ts') ? '.ts' : '.js'}`, self))
  const task = JSON.stringify({ ...spec, prefix: context.prefix, index, ...job })
  const child = spawn(process.execPath, [script, task], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = Promise.withResolvers<void>()
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (output.includes('\n')) closed.resolve()
  })
  const done = new Promise<{ readonly report: unknown }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve({ report: JSON.parse(output) })
      else reject(new assert.AssertionError({ message: `a child ended with ${code}` }))
    })
  })
  done.catch((error) => closed.reject(error))
  closed.promise.catch(() => {})
  return { closed: closed.promise, done, kill: () => child.kill() }
}
