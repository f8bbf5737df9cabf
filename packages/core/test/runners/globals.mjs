/* global describe, it */
import { prove } from './proof.mjs';

prove(describe, it);
