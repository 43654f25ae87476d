/** A system in small: its states are values, told apart by their keys. */
export interface Model<S> {
  readonly initial: S
  key(state: S): string
  /** Every step that anyone can take, and what comes of it. */
  next(state: S): Iterable<readonly [step: string, state: S]>
  /** What is wrong with the state; `undefined` if nothing is. */
  fault(state: S): string | undefined
}

export interface Exploration {
  /** States that were reached, each counted once. */
  readonly states: number
  /** Most steps from the initial state to a state at the least. */
  readonly depth: number
  /** How often each kind of step was taken, by its first word. */
  readonly steps: Readonly<Record<string, number>>
  /** The shortest way to a faulty state, if there is one. */
  readonly fault: { readonly what: string; readonly trace: readonly string[] } | undefined
}

/**
 * Reaches every state of a model, breadth first, so that a fault comes with the shortest way to it.
 *
 * @throws Error beyond `limit` states: an exploration that is not complete proves nothing
 */
export function explore<S>(model: Model<S>, limit: number): Exploration {
  const seen = new Map<string, number>()
  const parents: number[] = []
  const labels: string[] = []
  const steps: Record<string, number> = {}
  let front: { readonly id: number; readonly state: S }[] = []
  let depth = 0
  const visit = (state: S, parent: number, label: string): number | undefined => {
    const key = model.key(state)
    if (seen.has(key)) return undefined
    if (seen.size >= limit) throw new Error(`more than ${limit} states after ${depth} steps`)
    const id = seen.size
    seen.set(key, id)
    parents.push(parent)
    labels.push(label)
    return id
  }
  const end = (id: number, what: string): Exploration => {
    const trace: string[] = []
    for (let at = id; at > 0; at = parents[at]!) trace.push(labels[at]!)
    return { states: seen.size, depth, steps, fault: { what, trace: trace.reverse() } }
  }
  front.push({ id: visit(model.initial, 0, '')!, state: model.initial })
  while (front.length > 0) {
    const following: typeof front = []
    for (const { id, state } of front) {
      for (const [label, after] of model.next(state)) {
        const kind = label.split(' ')[1] ?? label
        steps[kind] = (steps[kind] ?? 0) + 1
        const reached = visit(after, id, label)
        if (reached === undefined) continue
        const what = model.fault(after)
        if (what !== undefined) return end(reached, what)
        following.push({ id: reached, state: after })
      }
    }
    front = following
    if (front.length > 0) depth += 1
  }
  return { states: seen.size, depth, steps, fault: undefined }
}
