import { setTimeout as delay } from 'node:timers/promises'

/** Waits for something that must happen soon. @throws Error that shows what did not, after 45 s (a test has 60 s) or `limitMs` */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 45_000,
): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${condition}`)
    await delay(10)
  }
}
