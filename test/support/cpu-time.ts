/** Milliseconds that this process computed for during `work`: what else the machine does counts hardly. */
export function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
