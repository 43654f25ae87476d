import {
  decideContention,
  decideStart,
} from '../../../src/core/replica/writer-claim/claim-rules.ts'
import type { Model } from '../../support/explore.ts'

/** What one watcher of the file is doing. Its application runs from the moment that it stands by or replicates. */
type Phase = 'none' | 'standby' | 'claiming' | 'replicating' | 'dead' | 'app-killed'

interface Watcher {
  readonly phase: Phase
  readonly isPaused: boolean
  /** 0: none claimed yet. */
  readonly epoch: number
  /** It replicates although another process has the lock. */
  readonly isForced: boolean
  /** Commits that it knows to be in the replica. */
  readonly shipped: number
}

export interface HandOverState {
  readonly watchers: readonly Watcher[]
  /** Index of the process that has the lock; the kernel frees it when that ends. */
  readonly holder: number | undefined
  /** Commits in the log of the one file. */
  readonly commits: number
  /** Slots of the replica: the epoch that wrote each, and the commits up to which it goes. */
  readonly slots: readonly { readonly epoch: number; readonly upTo: number }[]
  readonly newestEpoch: number
  /** Full copies beyond the first file. */
  readonly bases: number
}

export interface HandOverRules {
  readonly watchers: number
  readonly commits: number
  readonly slots: number
  /** Is there a lock, or do epochs alone decide? */
  readonly hasLock: boolean
  /** Does a claim say which file its writer replicates? */
  readonly claimNamesFile: boolean
  readonly takeOver: boolean
  readonly pauses: boolean
  /** Is a position proven before a newcomer writes? If not it goes on from what the replica says it has. */
  readonly provesPosition: boolean
}

/** Take-overs by force end here, so that there are only so many states. */
const MAX_EPOCH = 3

/**
 * Watchers of one file and one replica. A slot is taken by a create-only put; who finds the next one
 * taken decides by the very rules of the writer claim. A put is one step, because a put that was sent
 * and not answered is the fencing model's matter.
 */
export function handOverModel(rules: HandOverRules): Model<HandOverState> {
  const fresh: Watcher = { phase: 'none', isPaused: false, epoch: 0, isForced: false, shipped: 0 }
  return {
    initial: {
      watchers: Array.from({ length: rules.watchers }, () => fresh),
      holder: undefined,
      commits: 0,
      slots: [],
      newestEpoch: 0,
      bases: 0,
    },
    key: (state) => JSON.stringify(state),
    next: (state) => steps(state, rules),
    fault,
  }
}

function* steps(
  state: HandOverState,
  rules: HandOverRules,
): Iterable<readonly [string, HandOverState]> {
  if (state.commits < rules.commits && state.watchers.some(runsApp)) {
    yield ['app commits', { ...state, commits: state.commits + 1 }]
  }
  for (const [i, watcher] of state.watchers.entries()) {
    const set = (change: Partial<Watcher>, more: Partial<HandOverState> = {}): HandOverState => ({
      ...state,
      ...more,
      watchers: state.watchers.map((one, at) => (at === i ? { ...one, ...change } : one)),
    })
    const isAlive = watcher.phase !== 'dead' && watcher.phase !== 'app-killed'
    const freed = state.holder === i ? { holder: undefined } : {}
    if (watcher.phase !== 'none' && isAlive) {
      yield [`${i} dies`, set({ phase: 'dead', isPaused: false }, freed)]
      if (rules.pauses) {
        yield [
          `${i} ${watcher.isPaused ? 'wakes' : 'pauses'}`,
          set({ isPaused: !watcher.isPaused }),
        ]
      }
    }
    if (watcher.isPaused || !isAlive) continue
    if (watcher.phase === 'none') yield [`${i} starts`, set({ phase: 'standby' })]
    if (watcher.phase === 'standby') yield* standingBy(state, rules, i, set)
    if (watcher.phase === 'claiming') yield* claim(state, rules, watcher, set)
    if (watcher.phase === 'replicating') yield* replicate(state, rules, watcher, set, freed)
    if (watcher.isForced && state.holder === undefined) {
      yield [`${i} locks`, set({ isForced: false }, { holder: i })]
    }
  }
}

type Set = (change: Partial<Watcher>, more?: Partial<HandOverState>) => HandOverState

function* standingBy(
  { holder, newestEpoch }: HandOverState,
  { hasLock, takeOver }: HandOverRules,
  index: number,
  set: Set,
): Iterable<readonly [string, HandOverState]> {
  if (!hasLock) yield [`${index} begins`, set({ phase: 'claiming' })]
  else if (holder === undefined)
    yield [`${index} locks`, set({ phase: 'claiming' }, { holder: index })]
  else if (takeOver && newestEpoch < MAX_EPOCH)
    yield [`${index} forces`, set({ phase: 'claiming', isForced: true })]
}

function* claim(
  { newestEpoch, slots, commits, bases }: HandOverState,
  { provesPosition }: HandOverRules,
  _: Watcher,
  set: Set,
): Iterable<readonly [string, HandOverState]> {
  const standing = { newest: newestEpoch, unreleased: [], locked: [] }
  const { epoch } = decideStart(standing, slots.at(-1)?.epoch ?? 0, 'newest')
  const shipped = slots.at(-1)?.upTo
  const claimed = { phase: 'replicating', epoch } as const
  if (shipped === undefined) {
    const first = { epoch, upTo: commits }
    yield [
      'x claims',
      set({ ...claimed, shipped: commits }, { newestEpoch: epoch, slots: [first] }),
    ]
  } else if (provesPosition) {
    yield ['x claims', set({ ...claimed, shipped }, { newestEpoch: epoch })]
  } else {
    const base = { newestEpoch: epoch, bases: bases + 1 }
    yield ['x claims', set({ ...claimed, shipped: commits }, base)]
  }
}

function* replicate(
  state: HandOverState,
  rules: HandOverRules,
  watcher: Watcher,
  set: Set,
  freed: Partial<HandOverState>,
): Iterable<readonly [string, HandOverState]> {
  const { slots, commits } = state
  if (watcher.shipped < commits && slots.length < rules.slots) {
    const next = slots.findIndex(({ upTo }) => upTo > watcher.shipped)
    if (next < 0) {
      // The newest slot is what this writer last knew of: the next one is free.
      const file = { epoch: watcher.epoch, upTo: commits }
      yield ['x ships', set({ shipped: commits }, { slots: [...slots, file] })]
    } else {
      const decision = decideContention(watcher.epoch, slots[next]!.epoch)
      if (decision === 'fenced') yield ['x fenced', fenced(rules, set, freed)]
      else yield ['x adopts', set({ shipped: slots[next]!.upTo })]
    }
  }
  // The freshness check after a pause.
  if (watcher.epoch < state.newestEpoch) yield ['x fenced', fenced(rules, set, freed)]
}

/** A newer writer has the replica: of the same file, so that the application may go on. */
function fenced(rules: HandOverRules, set: Set, freed: Partial<HandOverState>): HandOverState {
  if (!rules.claimNamesFile) return set({ phase: 'app-killed', epoch: 0 }, freed)
  if (!rules.hasLock) return set({ phase: 'dead', epoch: 0 }, freed)
  return set({ phase: 'standby', epoch: 0, shipped: 0, isForced: false }, freed)
}

function runsApp({ phase }: Watcher): boolean {
  return phase !== 'none' && phase !== 'dead' && phase !== 'app-killed'
}

function fault({ watchers, slots, bases, holder }: HandOverState): string | undefined {
  if (watchers.some(({ phase }) => phase === 'app-killed')) return 'an application was stopped'
  if (bases > 0) return 'a full copy was taken'
  const backwards = slots.findIndex(({ upTo }, i) => i > 0 && upTo <= slots[i - 1]!.upTo)
  if (backwards >= 0) return `slot ${backwards} puts older pages over newer ones`
  const writers = watchers.filter(
    ({ phase, isForced, isPaused }) => phase === 'replicating' && !isForced && !isPaused,
  )
  const unlocked = writers.filter((one) => watchers.indexOf(one) !== holder)
  return holder !== undefined && unlocked.length > 0
    ? 'a watcher replicates without the lock'
    : undefined
}
