import { DriverStore } from '../../core/store/index.ts'
import { MemoryContainer } from './memory-container.ts'
import { MemoryDriver } from './memory-driver.ts'

/** Objects in this process's memory: the reference for the contract, and a store for tests. Nothing survives the process. */
export class MemoryObjectStore extends DriverStore {
  /** @param container share it between stores to make them clients of the same objects; default: a new one */
  constructor(container: MemoryContainer = new MemoryContainer(), name = '') {
    super(new MemoryDriver(container, name))
  }
}
