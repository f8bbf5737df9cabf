/**
 * The parts of Litestream by token, in a tsyringe container. A child container has the parts of its parent. A part that is registered in
 * the child replaces that of the parent.
 */
// tsyringe throws on import without it.
import 'reflect-metadata';
import { container } from 'tsyringe';
import type { DependencyContainer } from 'tsyringe';
import { LitestreamError } from '../../util/error.ts';

declare const part: unique symbol;

/** Names a part, and carries its type. Two tokens with the same name are two tokens. */
export interface Token<T> {
  readonly key: symbol;
  /** Never set: carries the type. */
  readonly [part]?: (value: T) => T;
}

export function token<T>(name: string): Token<T> {
  return { key: Symbol(name) };
}

export class Container {
  readonly #inner: DependencyContainer;

  constructor(parent: DependencyContainer = container) {
    this.#inner = parent.createChildContainer();
  }

  child(): Container {
    return new Container(this.#inner);
  }

  /** Registers a part that exists already. See `register`. */
  registerValue<T>(token: Token<T>, value: T): void {
    this.register(token, () => value);
  }

  /**
   * Registers a part. The container makes it when it is first needed, and keeps it: it calls `make` at most once, with itself. The last
   * registration of a token counts. A part that was made before a registration keeps the parts that it already uses.
   */
  register<T>(token: Token<T>, make: (container: this) => T): void {
    let made: { readonly value: T } | undefined;
    this.#inner.register(token.key, { useFactory: () => (made ??= { value: make(this) }).value });
  }

  /** The part of this container, or of the nearest parent that has it. Throws `INVALID_ARGUMENT` if none has it. */
  resolve<T>(token: Token<T>): T {
    if (this.#inner.isRegistered(token.key, true)) return this.#inner.resolve<T>(token.key);
    throw new LitestreamError(`no part is registered for ${token.key.description ?? 'the token'}`, {
      code: 'INVALID_ARGUMENT',
      operation: 'resolve',
      hint: 'Register it in the container of Litestream, of the database or of the replica.',
    });
  }
}
