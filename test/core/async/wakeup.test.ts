import { expect, it } from 'vitest'
import { Wakeup } from '../../../src/core/async/wakeup.ts'

it('sleeps on for as long as it is told', async () => {
  const answers = [5, 5, 0]
  let asked = 0
  await new Wakeup().sleep(5, () => answers[asked++] ?? 0)
  expect(asked).toBe(3)
})

it('wakes up at a call, however long it would sleep on', async () => {
  const wakeup = new Wakeup()
  let asked = 0
  const sleeping = wakeup.sleep(1, () => {
    asked += 1
    if (asked === 2) setTimeout(() => wakeup.call(), 5)
    return asked === 1 ? 1 : 3_600_000
  })
  await sleeping
  expect(asked).toBe(2)
})

it('does not sleep after a call that nobody waited for', async () => {
  const wakeup = new Wakeup()
  wakeup.call()
  await wakeup.sleep(3_600_000, () => 3_600_000)
})

it('wakes up if it cannot be told', async () => {
  let asked = 0
  await new Wakeup().sleep(1, () => {
    asked += 1
    throw new Error('the disk failed')
  })
  expect(asked).toBe(1)
})
