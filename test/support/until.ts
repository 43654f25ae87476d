import { setTimeout as delay } from 'node:timers/promises'

/** Waits for something that must happen soon. @throws Error that shows what did not, after 15 s */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${condition}`)
    await delay(10)
  }
}
