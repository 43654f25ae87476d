import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { startThreads, WorkerThread } from '../../../src/core/async/worker-thread.ts'

const start = () => new WorkerThread<number, number>('./echo-thread', import.meta.url)

describe('WorkerThread', () => {
  it('answers in the order of the requests, and is free while fewer wait', async () => {
    const thread = start()
    const answers = [thread.ask(3), thread.ask(1)]
    expect([thread.isFree(2), thread.isFree(3)]).toEqual([false, true])
    expect(await Promise.all(answers)).toEqual([3, 1])
    expect(thread.isFree(1)).toBe(true)
    await thread.close()
  })

  it('answers nothing once it has ended, also what it was asked before', async () => {
    const thread = start()
    const answer = thread.ask(60_000)
    await thread.close()
    expect(await answer).toBeUndefined()
    expect(thread.hasEnded).toBe(true)
    expect(thread.isFree(1)).toBe(false)
    expect(await thread.ask(1)).toBeUndefined()
  })

  it('says why it has ended by itself', async () => {
    const thread = new WorkerThread<number, number>('./no-such-module', import.meta.url)
    expect(await thread.ask(1)).toBeUndefined()
    expect(thread.failure?.message).toContain('no-such-module')
  })

  it('lets a process that has nothing else to do see it closed', () => {
    const child = fileURLToPath(new URL('./close-child.ts', import.meta.url))
    const output = execFileSync(process.execPath, [child], { encoding: 'utf8' })
    const { closed, answers } = JSON.parse(output)
    expect(closed).toBe(10)
    // Otherwise nothing came while a thread was being ended.
    expect(answers).toBeGreaterThan(0)
  })
})

describe('startThreads', () => {
  it('starts as many as can be started', () => {
    let count = 0
    const started = startThreads(5, () => {
      if (count === 3) throw new Error('no more')
      return count++
    })
    expect(started).toEqual([0, 1, 2])
  })
})
