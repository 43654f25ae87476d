import { type TXID, txid } from '../../../src/core/ltx/index.ts'
import type {
  EndRecord,
  EpochObject,
} from '../../../src/core/replica/writer-claim/claim-records.ts'
import * as rules from '../../../src/core/replica/writer-claim/claim-rules.ts'
import type { Model } from '../../support/explore.ts'

/*
 * Writers on one replica, step by step. What they decide they decide by the very functions that run
 * (`claim-rules.ts`); the steps between the decisions follow database-replicator.ts, shipper.ts and
 * writer-claim.ts. A writer is paused by not taking a step while others do.
 */

/** One file of a slot. `from` is the state that it needs before it; a base needs none. */
export interface Slot {
  readonly epoch: number
  readonly from: string | undefined
  readonly to: string
}

interface Claim {
  readonly ended: boolean
  /** Of a take-over. */
  readonly slot: number
  readonly from: number
  readonly forgotten: boolean
}

interface Pending {
  readonly slot: number
  readonly file: Slot
}

interface Look {
  readonly newest: number
  readonly open: readonly number[]
  readonly head: number
  readonly state: string
  readonly headEpoch: number
  readonly ends: readonly number[]
}

type Place =
  | 'off'
  | 'looked'
  | 'claimed'
  | 'ask'
  | 'send'
  | 'confirm'
  | 'ends'
  | 'running'
  | 'fenced'

export interface Writer {
  readonly at: Place
  readonly db: string
  readonly epoch: number
  readonly look: Look | undefined
  /** Epochs that it must fence. */
  readonly open: readonly number[]
  /** Epochs whose ends it knows of. */
  readonly ends: readonly number[]
  readonly fresh: boolean
  /** Newest slot that it knows to hold its history, and the state there. */
  readonly captured: number
  readonly state: string
  readonly pending: Pending | undefined
  /** A slot that it is about to prune. */
  readonly pruning: number
  /** The slot that its first file took. */
  readonly landed: number
  /** It has told that it keeps the replica up to date. */
  readonly begun: boolean
}

export interface World {
  readonly writers: readonly Writer[]
  readonly claims: readonly Claim[]
  /** What a slot holds now; `undefined`: pruned. A compaction keeps what was there first. */
  readonly slots: readonly (Slot | undefined)[]
  /** What each slot held first: the history, which compactions were made of. */
  readonly history: readonly Slot[]
  /** Files that are older than any grace period and any fresh claim. */
  readonly aged: number
  /** Versions that the databases have reached. */
  readonly versions: Readonly<Record<string, number>>
  readonly left: Budget
  /** A counted fault of a step. */
  readonly wrong: string | undefined
}

/** How often each of these may still happen. */
export interface Budget {
  readonly commits: number
  readonly starts: number
  readonly crashes: number
  readonly stops: number
  readonly prunes: number
  /** Times in which everything grows older than a minute and than a grace period. */
  readonly hours: number
  /** Times after which no slot is protected any more. */
  readonly weeks: number
  /** Files that a one-shot snapshot writes without a claim. */
  readonly oneShots: number
}

export interface Setting {
  /** The database of each writer: those with one letter share it, others have copies of one beginning. */
  readonly databases: readonly string[]
  readonly budget: Budget
  /** Changes of the protocol, to see what it is good for. */
  readonly weak?: Partial<typeof rules> & {
    /** No freshnessCheck before a put counts. */
    readonly noConfirm?: boolean
    /** A claim replaces one of the same epoch. */
    readonly overwritesClaims?: boolean
    /** No second look where the first one was old when the claim was made. */
    readonly noSecondLook?: boolean
    /** A clean end is written while a put is under way. */
    readonly earlyEnd?: boolean
  }
}

const NOW = 0
const GONE: Claim = { ended: false, slot: 0, from: 0, forgotten: false }

const OFF: Omit<Writer, 'db'> = {
  at: 'off',
  epoch: 0,
  look: undefined,
  open: [],
  ends: [],
  fresh: true,
  captured: 0,
  state: '',
  pending: undefined,
  pruning: 0,
  landed: 0,
  begun: false,
}

export function fencingModel({ databases, budget, weak = {} }: Setting): Model<World> {
  const rule = { ...rules, ...weak }

  function take(world: World): Look {
    const { newest, unreleased: open } = rule.claimState(objectsOf(world.claims))
    const head = world.history.length
    const ends = world.claims.flatMap(({ ended }, i) => (ended ? [i + 1] : []))
    const last = world.history.at(-1)
    return { newest, open, head, state: last?.to ?? '', headEpoch: last?.epoch ?? 0, ends }
  }

  /** Where a writer goes from a look: each way that a proof may turn out. */
  function* place(world: World, i: number, look: Look): Generator<readonly [string, World]> {
    const writer = world.writers[i]!
    const placed = { ...writer, look: undefined, captured: look.head, state: look.state }
    for (const proven of isOwn(look.state, writer.db) ? [true, false] : [false]) {
      const first = rule.firstFile(proven, writer.open.length > 0)
      const how = `finds its place by ${first}`
      if (first === 'none') yield [how, set(world, i, { ...placed, at: 'running', begun: true })]
      else {
        const to = stateOf(writer.db, world.versions[writer.db]!)
        const from = first === 'base' ? undefined : look.state
        yield [how, queue(world, i, { ...placed, state: look.state }, { from, to })]
      }
    }
  }

  function queue(world: World, i: number, writer: Writer, file: Omit<Slot, 'epoch'>): World {
    const pending = { slot: writer.captured + 1, file: { ...file, epoch: writer.epoch } }
    const asked = rule.freshnessCheck(writer.fresh ? 0 : rules.FRESH_MS + 1)
    return set(world, i, { ...writer, pending, at: asked === 'none' ? 'send' : 'ask' })
  }

  /** A freshnessCheck about newer claims: fenced, or fresh again. */
  function ask(world: World, writer: Writer): Writer {
    const newer = world.claims.length > writer.epoch
    return newer ? fence(writer) : { ...writer, fresh: true }
  }

  function* steps(world: World, i: number): Generator<readonly [string, World]> {
    const writer = world.writers[i]!
    const { left } = world
    if (writer.at === 'off' && left.starts > 0) {
      const looked = { ...writer, at: 'looked' as const, look: take(world), fresh: true }
      yield ['lists', spend(set(world, i, looked), 'starts')]
    }
    if (writer.at === 'looked') yield* claim(world, i, writer.look!)
    if (writer.at === 'claimed') {
      const look = take(world)
      if (rule.isCurrent(writer.epoch, look.newest)) yield* place(world, i, look)
      else yield ['lists and ends', set(world, i, fence(writer))]
    }
    if (writer.at === 'ask') {
      const asked = ask(world, writer)
      yield ['asks', set(world, i, asked.at === 'fenced' ? asked : { ...asked, at: 'send' })]
    }
    if (writer.at === 'send') yield* send(world, i, writer, writer.pending!)
    if (writer.at === 'confirm') yield* confirm(world, i, writer, writer.pending!)
    if (writer.at === 'ends') yield ['ends the older epochs', endOlder(world, i, writer)]
    if (writer.at === 'running') yield* run(world, i, writer)
    if (isAlive(writer) && writer.pruning > 0) {
      const slots = world.slots.with(writer.pruning - 1, undefined)
      yield ['prunes', { ...set(world, i, { ...writer, pruning: 0 }), slots }]
    }
    // Before its claim it has left nothing: that crash is the same as no start.
    if (isAlive(writer) && writer.epoch > 0 && left.crashes > 0) {
      yield ['crashes', spend(set(world, i, { ...OFF, db: writer.db }), 'crashes')]
    }
  }

  function* claim(world: World, i: number, look: Look): Generator<readonly [string, World]> {
    const state = { newest: look.newest, unreleased: look.open, locked: look.open }
    const { epoch } = rule.decideStart(state, look.headEpoch, 'newest')
    if (epoch <= world.claims.length && weak.overwritesClaims !== true) {
      const again = { ...world.writers[i]!, look: take(world), fresh: true }
      yield ['loses the epoch and lists again', set(world, i, again)]
      return
    }
    const { open, ends } = look
    const writer = world.writers[i]!
    const claimed = { ...writer, at: 'claimed' as const, epoch, open, ends, fresh: true }
    const claims = world.claims.slice()
    claims[epoch - 1] = GONE
    const next = { ...set(world, i, claimed), claims }
    const isOld = rule.freshnessCheck(writer.fresh ? 0 : rules.FRESH_MS + 1) !== 'none'
    if (isOld && weak.noSecondLook !== true) return yield [`claims ${epoch}`, next]
    for (const [how, placed] of place(next, i, look)) yield [`claims ${epoch} and ${how}`, placed]
  }

  function* send(
    world: World,
    i: number,
    writer: Writer,
    { slot, file }: Pending,
  ): Generator<readonly [string, World]> {
    const found = world.slots[slot - 1]
    if (found !== undefined) return yield* taken(world, i, writer, found)
    const slots = world.slots.slice()
    slots[slot - 1] = file
    const isNew = slot > world.history.length
    const history = isNew ? [...world.history, file] : world.history
    const rival = isNew && world.writers.find((w) => w.begun && w.epoch > file.epoch)
    const wrong = rival
      ? `epoch ${file.epoch} wrote slot ${slot} after epoch ${rival.epoch} had begun`
      : undefined
    const next = { ...world, slots, history, wrong: world.wrong ?? wrong }
    const asked = writer.fresh || weak.noConfirm === true
    if (!asked) yield [`puts slot ${slot}`, set(next, i, { ...writer, at: 'confirm' })]
    else yield [`puts slot ${slot}`, acknowledge(next, i, writer, { slot, file })]
  }

  /** As `EpochClaim.guard` after the put. */
  function* confirm(
    world: World,
    i: number,
    writer: Writer,
    pending: Pending,
  ): Generator<readonly [string, World]> {
    const asked = ask(world, writer)
    if (asked.at !== 'fenced') yield ['asks', acknowledge(world, i, asked, pending)]
    else {
      const mine = world.claims[writer.epoch - 1]!
      const slots =
        mine.slot === pending.slot ? world.slots.with(pending.slot - 1, undefined) : world.slots
      yield ['asks', { ...set(world, i, asked), slots }]
    }
  }

  /** The file counts: its writer goes on behind it, and says that it is in the store. */
  function acknowledge(world: World, i: number, writer: Writer, { slot, file }: Pending): World {
    const believed = slotKey(world.history[slot - 1]) === slotKey(file)
    const wrong = believed ? undefined : `epoch ${file.epoch} acknowledged a stale slot ${slot}`
    const at = writer.open.length > 0 ? ('ends' as const) : ('running' as const)
    const landed = writer.landed || slot
    const shipped = {
      ...writer,
      captured: slot,
      state: file.to,
      pending: undefined,
      landed,
      at,
      begun: true,
    }
    return { ...set(world, i, shipped), wrong: world.wrong ?? wrong }
  }

  /** As `TakeOver.recordStored`. */
  function endOlder(world: World, i: number, writer: Writer): World {
    const slot = writer.landed
    const before = world.history[slot - 2]?.epoch
    const claims = world.claims.map((each, e) => {
      if (each.ended || !writer.open.includes(e + 1)) return each
      const from = Number(rule.firstStaleSlot(e + 1, before, txid(slot)))
      return { ended: true, slot, from, forgotten: false }
    })
    const ends = [...writer.ends, ...writer.open]
    return { ...set(world, i, { ...writer, open: [], ends, at: 'running' }), claims }
  }

  /** As `DatabaseReplicator.adopt` and `#takeBase`. */
  function* taken(
    world: World,
    i: number,
    writer: Writer,
    found: Slot,
  ): Generator<readonly [string, World]> {
    const fenced = set(world, i, fence(writer))
    const isBase = writer.pending?.file.from === undefined
    const decision = rule.decideContention(writer.epoch, found.epoch)
    if (!isBase && decision === 'fenced') return yield ['finds its slot taken and ends', fenced]
    const look = take(world)
    if (!rule.isCurrent(writer.epoch, look.newest)) return yield ['lists and ends', fenced]
    const next = set(world, i, { ...writer, pending: undefined })
    for (const [how, placed] of place(next, i, look)) {
      const isProven = !how.endsWith('base')
      if (isProven || isBase || decision === 'prove-or-base') yield [`lists and ${how}`, placed]
      else yield ['lists and ends', fenced]
    }
  }

  function* run(world: World, i: number, writer: Writer): Generator<readonly [string, World]> {
    const { left, versions } = world
    const now = versions[writer.db]!
    if (left.commits > 0) {
      const grown = { ...versions, [writer.db]: now + 1 }
      const next = spend({ ...world, versions: grown }, 'commits')
      const file = { from: writer.state, to: stateOf(writer.db, now + 1) }
      yield ['captures a commit', queue(next, i, writer, file)]
    }
    const state = stateOf(writer.db, now)
    if (writer.state !== state) {
      yield ['captures', queue(world, i, writer, { from: writer.state, to: state })]
    } else if (left.stops > 0) {
      yield ['stops', spend(stop(world, i, writer), 'stops')]
    }
    if (left.prunes > 0 && writer.pruning === 0) yield* planPrune(world, i, writer)
  }

  function stop(world: World, i: number, writer: Writer): World {
    const claims = world.claims.with(writer.epoch - 1, {
      ...world.claims[writer.epoch - 1]!,
      ended: true,
    })
    if (weak.earlyEnd !== true) return { ...set(world, i, { ...OFF, db: writer.db }), claims }
    const file = { from: writer.state, to: writer.state }
    return { ...queue(world, i, writer, file), claims }
  }

  /** As retention does: a freshnessCheck, then a plan by the ends that it knows; the deleting comes later. */
  function* planPrune(
    world: World,
    i: number,
    writer: Writer,
  ): Generator<readonly [string, World]> {
    const asked = ask(world, writer)
    if (asked.at === 'fenced') return yield ['asks before pruning', set(world, i, asked)]
    const kept = new Set(rule.protectedSlots(endsOf(world.claims, writer.ends), NOW))
    for (let slot = 1; slot < Math.min(world.aged + 1, writer.captured); slot++) {
      if (world.slots[slot - 1] === undefined || kept.has(BigInt(slot) as TXID)) continue
      yield [
        `plans to prune slot ${slot}`,
        spend(set(world, i, { ...asked, pruning: slot }), 'prunes'),
      ]
    }
  }

  /** Time, and a one-shot snapshot that ships what is missing without a claim. */
  function* others(world: World): Generator<readonly [string, World]> {
    const { left, writers, history } = world
    const old = writers.map((writer) => ({ ...writer, fresh: false }))
    const aged = history.length
    if (left.hours > 0) yield ['time passes', spend({ ...world, writers: old, aged }, 'hours')]
    if (left.weeks > 0) {
      const claims = world.claims.map((claim) => ({ ...claim, forgotten: true }))
      yield ['time passes: a week', spend({ ...world, writers: old, claims, aged }, 'weeks')]
    }
    const last = history.at(-1)
    const db = writers[0]!.db
    if (left.oneShots > 0 && last !== undefined && isOwn(last.to, db)) {
      const version = world.versions[db]! + 1
      const file = { epoch: 0, from: last.to, to: stateOf(db, version) }
      const versions = { ...world.versions, [db]: version }
      const slots = [...world.slots, file]
      const next = { ...world, slots, history: [...history, file], versions }
      yield ['oneshot ships a commit', spend(next, 'oneShots')]
    }
  }

  return {
    initial: {
      writers: databases.map((db) => ({ ...OFF, db })),
      claims: [],
      slots: [],
      history: [],
      aged: 0,
      versions: Object.fromEntries(databases.map((db) => [db, 0])),
      left: budget,
      wrong: undefined,
    },
    key: keyOf,
    *next(world) {
      for (let i = 0; i < databases.length; i++) {
        for (const [step, after] of steps(world, i)) yield [`${'ABC'[i]} ${step}`, after] as const
      }
      yield* others(world)
    },
    fault: faultOf,
  }
}

/** What must never be, whatever was done in which order. */
function faultOf({ wrong, history, slots, claims }: World): string | undefined {
  if (wrong !== undefined) return wrong
  for (const [i, file] of history.entries()) {
    const before = i === 0 ? undefined : history[i - 1]!.to
    if (file.from !== undefined && file.from !== before)
      return `slot ${i + 1} continues another history`
    const stale = slots[i] !== undefined && slotKey(slots[i]) !== slotKey(file)
    if (stale && !claims.some(({ forgotten }) => forgotten))
      return `slot ${i + 1} holds two contents`
  }
  const epochs = history.map(({ epoch }) => epoch).filter((epoch) => epoch > 0)
  if (epochs.some((epoch, i) => i > 0 && epoch < epochs[i - 1]!))
    return 'an older epoch wrote again'
  return undefined
}

function fence({ db }: Writer): Writer {
  return { ...OFF, db, at: 'fenced' }
}

/** Worlds that differ in nothing but which of two writers of one database is which are the same. */
function keyOf(world: World): string {
  const { writers, claims, slots, history, aged, versions, left, wrong } = world
  return [
    ...writers.map(writerKey).sort(),
    ...claims.map(({ ended, slot, from, forgotten }) => `${ended}${slot}.${from}${forgotten}`),
    slots.map(slotKey).join(),
    history.map(slotKey).join(),
    aged,
    Object.values(versions),
    Object.values(left),
    wrong,
  ].join(' ')
}

function writerKey(writer: Writer): string {
  const {
    at,
    db,
    epoch,
    look,
    open,
    ends,
    fresh,
    captured,
    state,
    pending,
    pruning,
    landed,
    begun,
  } = writer
  const seen = look && Object.values(look).join(';')
  const waiting = pending && `${pending.slot}${slotKey(pending.file)}`
  return [
    at,
    db,
    epoch,
    seen,
    open.join('+'),
    ends.join('+'),
    fresh,
    captured,
    state,
    waiting,
    pruning,
    landed,
    begun,
  ].join('|')
}

function slotKey(slot: Slot | undefined): string {
  return slot === undefined ? '-' : `${slot.epoch}:${slot.from}:${slot.to}`
}

function set(world: World, i: number, writer: Writer): World {
  return { ...world, writers: world.writers.with(i, writer) }
}

function spend(world: World, what: keyof Budget): World {
  return { ...world, left: { ...world.left, [what]: world.left[what] - 1 } }
}

function isAlive({ at }: Writer): boolean {
  return at !== 'off' && at !== 'fenced'
}

/** Copies of one database have their beginning in common. */
function stateOf(db: string, version: number): string {
  return version === 0 ? 'start' : `${db}${version}`
}

function isOwn(state: string, db: string): boolean {
  return state === 'start' || state.startsWith(db)
}

function objectsOf(claims: readonly Claim[]): EpochObject[] {
  const lastModified = new Date(0)
  return claims.flatMap(({ ended }, i) => [
    { kind: 'claim' as const, epoch: i + 1, key: '', lastModified },
    ...(ended ? [{ kind: 'end' as const, epoch: i + 1, key: '', lastModified }] : []),
  ])
}

function endsOf(claims: readonly Claim[], known: readonly number[]): EndRecord[] {
  return claims.flatMap(({ slot, from, forgotten }, i) => {
    if (slot === 0 || !known.includes(i + 1)) return []
    const at = new Date(forgotten ? -rules.PROTECT_MS - 1 : NOW)
    return [{ epoch: i + 1, by: 'successor' as const, at, slot: txid(slot), from: txid(from) }]
  })
}
