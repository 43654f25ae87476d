import { type DatabaseChecksums, LtxDecoder, type LtxHeader, type LtxPage } from '../ltx/index.ts'
import { assertHeaderOf, type LtxFileInfo } from './replica-client.ts'

/**
 * Bytes decoded at a time. A page can be 255 times the size of its payload, so this bounds the
 * memory of one step.
 */
const SLICE_BYTES = 64 * 1024

/**
 * Decodes one LTX object of a replica as its bytes arrive, for every reader of whole objects but a restore,
 * which takes them apart by `LtxRangeReader`. The
 * header is checked against the object's name before any page is handed out.
 */
export class LtxObjectDecoder {
  readonly #file: LtxFileInfo
  readonly #decoder = new LtxDecoder({ reusePages: true })
  #header: LtxHeader | undefined

  constructor(file: LtxFileInfo) {
    this.#file = file
  }

  /** `undefined` until its bytes have arrived. */
  get header(): LtxHeader | undefined {
    return this.#header
  }

  /**
   * The pages that the next bytes of the object complete, in small groups. A page is valid until
   * the next group is requested.
   *
   * @throws LtxError for damage; ReplicaError `DamagedObject` for a header with other TXIDs
   */
  *write(bytes: Uint8Array): Generator<readonly LtxPage[], void, void> {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      const pages = this.#decoder.write(bytes.subarray(at, at + SLICE_BYTES))
      if (this.#header === undefined && this.#decoder.header !== undefined) {
        assertHeaderOf(this.#file, this.#decoder.header)
        this.#header = this.#decoder.header
      }
      yield pages
    }
  }

  /**
   * Verifies the complete object: its index, its trailer and its checksum.
   *
   * @throws LtxError
   */
  end(): { readonly header: LtxHeader; readonly checksums: DatabaseChecksums | undefined } {
    this.#decoder.end()
    return { header: this.#header!, checksums: this.#decoder.databaseChecksums }
  }
}
