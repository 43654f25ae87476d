import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CaseContext } from './case-context.ts'
import { background, within } from './expect.ts'

/** What a child does with its store; see `child.ts`. */
export type ChildJob = { readonly job: 'race'; readonly rounds: number } | { readonly job: 'touch' }

const CHILD_LIMIT_MS = 60_000
const EXIT_LIMIT_MS = 2000

/** Runs `count` children at once on the case's prefix. Resolves with what each reported. */
export async function runChildren(
  context: CaseContext,
  count: number,
  job: ChildJob,
): Promise<unknown[]> {
  const children = Array.from({ length: count }, (_, index) => startChild(context, index, job))
  try {
    const all = Promise.all(children.map((child) => child.done))
    const ready = Promise.all(children.map((child) => child.ready))
    await within(CHILD_LIMIT_MS, 'the start of the child processes', Promise.race([ready, all]))
    const startAt = Date.now() + 100
    for (const child of children) child.go(startAt)
    return await within(CHILD_LIMIT_MS, 'the child processes', all)
  } finally {
    for (const child of children) child.kill()
  }
}

/**
 * Starts a child that opens a store, uses it and closes it. After that, nothing may keep the child
 * alive.
 */
export async function childEnds(context: CaseContext): Promise<void> {
  const child = startChild(context, 0, { job: 'touch' })
  try {
    await within(CHILD_LIMIT_MS, 'the start of the child', child.ready)
    child.go(Date.now())
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
  const child = spawn(process.execPath, [script, task], { stdio: ['pipe', 'pipe', 'inherit'] })
  // If a child dies early, its channel closes, and `done` reports it.
  child.stdin.on('error', () => {})
  const ready = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    const lines = output.split('\n').length - 1
    if (lines >= 1) ready.resolve()
    if (lines >= 2) closed.resolve()
  })
  const done = new Promise<unknown>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output.split('\n')[1] ?? ''))
      else reject(new assert.AssertionError({ message: `a child ended with ${code}` }))
    })
  })
  done.catch((error) => {
    ready.reject(error)
    closed.reject(error)
  })
  return {
    ready: background(ready.promise),
    closed: background(closed.promise),
    done: background(done),
    go: (startAt: number) => child.stdin.end(`${startAt}\n`),
    kill: () => child.kill(),
  }
}
