import { describe, expect, it } from 'vitest'
import { ShutdownStack } from '../../src/cli/composition/shutdown-stack.ts'

describe('ShutdownStack', () => {
  it('closes in the reverse order, one after the other, once', async () => {
    const closed: string[] = []
    const stack = new ShutdownStack()
    stack.push('slow first', async () => void closed.push('first'))
    stack.push('second', async () => {
      await new Promise((resolve) => setTimeout(resolve, 10))
      closed.push('second')
    })
    await stack.unwind()
    await stack.unwind()
    expect(closed).toEqual(['second', 'first'])
  })

  it('closes the rest after a failure, then throws it', async () => {
    const closed: string[] = []
    const cause = new Error('no')
    const stack = new ShutdownStack()
    stack.push('first', async () => void closed.push('first'))
    stack.push('second', () => Promise.reject(cause))
    await expect(stack.unwind()).rejects.toMatchObject({ message: 'Closing second failed.', cause })
    expect(closed).toEqual(['first'])
  })

  it('throws all failures together', async () => {
    const stack = new ShutdownStack()
    stack.push('a', () => Promise.reject(new Error('a')))
    stack.push('b', () => Promise.reject(new Error('b')))
    await expect(stack.unwind()).rejects.toBeInstanceOf(AggregateError)
  })
})
