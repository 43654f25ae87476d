/**
 * What was opened, closed in the reverse order. Ours and not the container's deactivation, which
 * runs everything at once, in no order of dependency.
 */
export class ShutdownStack {
  readonly #entries: { name: string; close: () => Promise<void> }[] = []

  push(name: string, close: () => Promise<void>): void {
    this.#entries.push({ name, close })
  }

  /**
   * Closes everything, also after a failure. Later calls find nothing left to close.
   *
   * @throws the only failure, or an AggregateError of all
   */
  async unwind(): Promise<void> {
    const failures: unknown[] = []
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.close()
      } catch (error) {
        failures.push(new Error(`Closing ${entry.name} failed.`, { cause: error }))
      }
    }
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, 'Closing failed more than once.')
  }
}
